export enum Topic {
  Created = 'topic.created',
  'with-dash' = 'topic.dashed',
  Alias = Created,
  Joined = `topic.${'joined'}`,
}
export const enum Inlined { One = 'inlined.one' }
export enum Merged { A = 'merged.a' }
export enum Merged { B = 'merged.b' }
