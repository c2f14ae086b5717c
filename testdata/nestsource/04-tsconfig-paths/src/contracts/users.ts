export enum Users { Find = 'users.find' }
