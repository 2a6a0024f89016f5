// For Android Studio. The project's own build is Maven's (pom.xml), which runs without Google's repository.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}
dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}
rootProject.name = "memcom-demo"
include(":core", ":ranker", ":app")
