// Prints what the script makes of the cases in the file that the second argument names.
'use strict';
const { isSecret, mask, maskText } = require(process.argv[2]);
const { texts, names, documents } = JSON.parse(require('node:fs').readFileSync(process.argv[3], 'utf8'));
console.log(JSON.stringify({ texts: texts.map(maskText), names: names.map(isSecret), documents: documents.map(mask) }));
