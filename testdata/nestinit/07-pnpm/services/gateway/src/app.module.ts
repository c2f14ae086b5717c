import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { AccountsController } from './accounts.controller';

@Module({
  imports: [
    ConfigModule.forRoot(),
    ClientsModule.registerAsync([
      {
        name: 'ACCOUNTS_SERVICE',
        imports: [ConfigModule],
        inject: [ConfigService],
        useFactory: async (config: ConfigService) => ({
          transport: Transport.TCP,
          options: { host: config.getOrThrow('ACCOUNTS_HOST'), port: config.getOrThrow<number>('ACCOUNTS_PORT') },
        }),
      },
      {
        name: 'TRANSFERS_SERVICE',
        imports: [ConfigModule],
        inject: [ConfigService],
        useFactory: async (config: ConfigService) => {
          const host = config.getOrThrow('TRANSFERS_HOST');
          return { transport: Transport.TCP, options: { host, port: Number(config.getOrThrow('TRANSFERS_PORT')) } };
        },
      },
    ]),
  ],
  controllers: [AccountsController],
})
export class AppModule {}
