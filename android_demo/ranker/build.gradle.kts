plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
    `maven-publish`
}

android {
    namespace = "memcom.tflite"
    compileSdk = libs.versions.compileSdk.get().toInt()
    defaultConfig {
        minSdk = libs.versions.minSdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }
    publishing { singleVariant("release") }
}

kotlin { jvmToolchain(17) }

dependencies {
    api(project(":core"))
    // Phones with memory pages of 16 KB need LiteRT: `./gradlew -Plitert assembleDebug`.
    implementation(if (providers.gradleProperty("litert").isPresent) libs.litert else libs.tflite)
}

publishing {
    repositories { maven(rootProject.file("../build/android/maven")) }
    publications {
        register<MavenPublication>("library") {
            artifactId = "memcom-ranker"
            afterEvaluate { from(components["release"]) } // which the Android plugin makes late
        }
    }
}
