export * as wild from '@nestjs/microservices';
