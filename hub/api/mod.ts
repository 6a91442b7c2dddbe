// HTTP for people with a browser: resumable uploads and downloads of large content by links.

export { HttpServer } from './server.ts'
