export declare const TOPICS: {
    readonly find: "typed.find";
    readonly list: readonly ["typed.list", 3];
};
export declare const ONE = "typed.one";
export declare enum Kind {
    A = "typed.kind.a",
    B = 7
}
export declare class Holder {
    static readonly topic = "typed.static";
}
