const legacy = { topic: 'default.equals' };
export = legacy;
