export default `default.text`;
