export enum OrderEvents { Placed = 'orders.placed' }
