import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { ClientsModule, Transport } from '@nestjs/microservices';
import redisConfig from './config/redis.config';
import { PostsController } from './posts.controller';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true, load: [redisConfig] }),
    ClientsModule.registerAsync({
      clients: [
        {
          name: 'EVENTS',
          inject: [ConfigService],
          useFactory: (cs: ConfigService) => ({ transport: Transport.REDIS, options: cs.getOrThrow('redis') }),
        },
      ],
    }),
  ],
  controllers: [PostsController],
})
export class AppModule {}
