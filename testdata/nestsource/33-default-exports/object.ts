export default { find: 'default.find', list: { cmd: 'default.list' } };
