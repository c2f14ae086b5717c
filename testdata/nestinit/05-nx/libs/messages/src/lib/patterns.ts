export const FlightPatterns = {
  search: 'flights.search',
  book: 'flights.book',
} as const;

export class HotelPatterns {
  static readonly Search = 'hotels.search';
  static readonly Reserved = 'hotels.reserved';
}
