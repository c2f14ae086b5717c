export const FOLDER = 'node.folder';
