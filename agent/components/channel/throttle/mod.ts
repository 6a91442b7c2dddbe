// Channel `throttle`.

export { ThrottleChannel, type ThrottleSettings, throttleSettings } from './channel.ts'
