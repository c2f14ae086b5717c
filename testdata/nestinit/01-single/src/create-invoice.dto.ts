export class CreateInvoiceDto {
  customer: string;
  amount: number;
}
