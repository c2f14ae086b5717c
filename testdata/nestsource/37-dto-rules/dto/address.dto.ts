import { IsName } from './rules';

export class AddressDto {
  @IsName() street!: string;
  readonly city?: string | null;
}
