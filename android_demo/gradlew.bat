@echo off
rem The same as gradlew, for Windows.
setlocal
set "here=%~dp0"
set "jar=%here%gradle\wrapper\gradle-wrapper.jar"
if not exist "%jar%" (
  echo gradle\wrapper\gradle-wrapper.jar must be there. Received: no such file. Run `gradle wrapper --gradle-version 8.14.3` in %here% once. 1>&2
  exit /b 1
)
set "java=java.exe"
if defined JAVA_HOME set "java=%JAVA_HOME%\bin\java.exe"
"%java%" -Dorg.gradle.appname=gradlew -classpath "%jar%" org.gradle.wrapper.GradleWrapperMain %*
exit /b %ERRORLEVEL%
