"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.make = exports.Topics = exports.Kind = void 0;
exports.Topics = { created: 'old.created', nested: { deleted: 'old.deleted' } };
var Kind;
(function (Kind) {
    Kind["A"] = "old.kind.a";
    Kind[Kind["N"] = 4] = "N";
})(Kind || (exports.Kind = Kind = {}));
const make = (name) => `old.${name}`;
exports.make = make;
