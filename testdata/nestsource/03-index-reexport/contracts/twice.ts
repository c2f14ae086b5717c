const one = 'twice.one';
export { one as Twice };
