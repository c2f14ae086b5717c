export default function Page() {
  return <main>Social</main>;
}
