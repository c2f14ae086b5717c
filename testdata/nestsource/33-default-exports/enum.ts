enum Topics { A = 'default.enum' }
export default Topics;
