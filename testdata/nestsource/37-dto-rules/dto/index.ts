export * from './create-parcel.dto';
