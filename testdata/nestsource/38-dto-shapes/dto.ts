import { IntersectionType, OmitType, PartialType, PickType } from '@nestjs/mapped-types';
import { IsEmail, IsInt, IsUUID, MinLength } from 'class-validator';

export class Base {
  @IsUUID() id!: string;
}
export class UserDto extends Base {
  @IsEmail() email!: string;
  @MinLength(8) password!: string;
  @IsInt() age!: number;
}
export class UpdateUserDto extends PartialType(UserDto) {}
export class PublicUserDto extends OmitType(UserDto, ['password'] as const) {
  nick?: string;
}
export class LoginDto extends PickType(UserDto, ['email', 'password'] as const) {}
export class BothDto extends IntersectionType(LoginDto, PartialType(PickType(UserDto, ['age'] as const))) {}

export interface Page<T = unknown> { cursor?: string; limit: number; filter: Filter & { deep: { x: number }[] } }
export type Filter = { name: string; tags?: string[] };
export type Slim = Omit<Filter, 'tags'>;
export type Loose = Partial<Pick<Page, 'cursor' | 'limit'>>;
export interface Tree extends Filter { children: Tree[]; size(): number }
