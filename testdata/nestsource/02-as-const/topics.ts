export const ParcelTopics = { weigh: 'parcel.weigh', inner: { label: 'parcel.label' } } as const;
export const COUNT = 'parcel.count';
