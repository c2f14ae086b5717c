export const ALL = ['events.all', { cmd: 'all' }];
