/** The configuration, from the environment: the addresses have the names that NestJS teams use for them. */
export const settings = {
  port: Number(process.env.GATEWAY_PORT ?? 3001),
  items: { host: process.env.MS_ONE_HOST ?? '127.0.0.1', port: Number(process.env.MS_ONE_PORT ?? 3002) },
  /** A service that is not running. */
  reports: { host: process.env.MS_TWO_HOST ?? '127.0.0.1', port: Number(process.env.MS_TWO_PORT ?? 3003) },
  timeout: Number(process.env.CALL_TIMEOUT ?? 5000),
  limit: Number(process.env.RATE_LIMIT ?? 1_000_000),
  /** Adds a second limit to every route, named short. */
  shortLimit: Number(process.env.SHORT_LIMIT ?? 0),
  /** HTTPS on a second port, if there is one. */
  tls: { port: Number(process.env.TLS_PORT ?? 0), cert: process.env.TLS_CERT_FILE ?? '', key: process.env.TLS_KEY_FILE ?? '' },
  tokens: { secret: process.env.JWT_SECRET ?? '', issuer: process.env.JWT_ISSUER, audience: process.env.JWT_AUDIENCE },
  webhookSecret: process.env.WEBHOOK_SECRET ?? '',
};
