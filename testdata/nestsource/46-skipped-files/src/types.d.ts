declare const ambient: string;
