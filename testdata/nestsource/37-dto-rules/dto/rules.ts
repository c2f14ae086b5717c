import { applyDecorators } from '@nestjs/common';
import { IsString, MaxLength } from 'class-validator';

export const IsName = () => applyDecorators(IsString(), MaxLength(80));
