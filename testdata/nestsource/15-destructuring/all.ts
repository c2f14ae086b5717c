export const Topics = { orders: { created: 'd.created', list: ['d.first', 'd.second', 'd.third'] }, plain: 'd.plain', 'quoted-name': 'd.quoted' };
export const { plain: EXPORTED, missing = 'd.default' } = Topics as any;
