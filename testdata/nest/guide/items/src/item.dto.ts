import { PartialType } from '@nestjs/mapped-types';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsNotEmpty, IsNumber, IsOptional, IsString, MaxLength, Min, ValidateNested } from 'class-validator';

export class CreateItemDto {
  @IsString()
  @IsNotEmpty()
  @MaxLength(120)
  name!: string;

  @IsNumber()
  @Min(0)
  price!: number;

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(20)
  @IsString({ each: true })
  @IsNotEmpty({ each: true })
  tags?: string[];
}

export class UpdateItemDto extends PartialType(CreateItemDto) {}

export class ItemIdDto {
  @IsString()
  id!: string;
}

export class UpdateItemMessage extends ItemIdDto {
  @ValidateNested()
  @Type(() => UpdateItemDto)
  updateItemDto!: UpdateItemDto;
}
