export default class {
  static topic = 'default.class';
}
