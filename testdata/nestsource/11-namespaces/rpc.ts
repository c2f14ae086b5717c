export namespace Rpc {
  const prefix = 'ns';
  export const Ping = `${prefix}.ping`;
  export namespace Users {
    export const Find = { cmd: `${prefix}.users.find` };
    export class Events { static Created = 'ns.users.created'; }
  }
}
export namespace Rpc {
  export const Pong = 'ns.pong';
}
export namespace A.B.C {
  export const Deep = 'ns.deep';
}
export class Topic { static first = 'ns.first'; }
export namespace Topic { export const second = 'ns.second'; }
export function topic() { return 'ns.called'; }
export namespace topic { export const member = 'ns.member'; }
