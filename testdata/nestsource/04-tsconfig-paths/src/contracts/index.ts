export const ROOT = 'contracts.root';
