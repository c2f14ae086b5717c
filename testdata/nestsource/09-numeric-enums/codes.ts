const BASE = 40;
export enum Code { Zero, One, Ten = 10, Eleven, Negative = -3, After, Shifted = 1 << 4, Sum = BASE + 2, FromOther = Ten | 1, Length = 'abcd'.length }
export enum Mixed { Text = 'mixed', Number = 5, Next }
