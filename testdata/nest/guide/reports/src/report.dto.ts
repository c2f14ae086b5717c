import { IsIn, IsString } from 'class-validator';

export class CreateReportDto {
  @IsString()
  @IsIn(['sales', 'stock'])
  kind!: string;
}
