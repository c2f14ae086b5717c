export default 'plain.name';
