import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsEnum, IsIn, IsInt, IsOptional, IsString, Length, Matches, Max, Min, ValidateNested } from 'class-validator';
import { AddressDto } from './address.dto';
import { MAX_WEIGHT } from './limits';

export enum Size { Small = 'S', Large = 'L' }

export class CreateParcelDto {
  @IsString() @Length(1, 40) label!: string;
  @IsInt() @Min(1) @Max(MAX_WEIGHT) weight!: number;
  @IsOptional() @IsEnum(Size) size?: Size;
  @IsIn(['air', 'sea']) by: 'air' | 'sea' = 'air';
  @ValidateNested() @Type(() => AddressDto) to!: AddressDto;
  @IsArray() @ArrayMaxSize(3) @ValidateNested({ each: true }) @Type(() => AddressDto) stops!: AddressDto[];
  @Matches(/^[a-z]+$/) code!: string;
  static ignored = 1;
  method() {}
}
