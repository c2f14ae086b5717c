package secret

// DevelopmentPrefix begins the secrets that msctl generates for development. Programs of
// a workspace refuse them in production.
const DevelopmentPrefix = "development-only-"
