export default function topic(name: string) {
  return `default.${name}`;
}
