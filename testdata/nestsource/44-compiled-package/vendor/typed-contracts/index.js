exports.TOPICS = { find: 'typed.find', list: ['typed.list', 3] };
exports.ONE = 'typed.one';
exports.Kind = { A: 'typed.kind.a', B: 7, 7: 'B' };
class Holder {}
Holder.topic = 'typed.static';
exports.Holder = Holder;
