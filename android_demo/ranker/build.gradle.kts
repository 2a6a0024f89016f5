plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "memcom.tflite"
    compileSdk = libs.versions.compileSdk.get().toInt()
    defaultConfig { minSdk = libs.versions.minSdk.get().toInt() }
}

kotlin { jvmToolchain(17) }

dependencies {
    api(project(":core"))
    // Phones with memory pages of 16 KB need LiteRT: `./gradlew -Plitert assembleDebug`.
    implementation(if (providers.gradleProperty("litert").isPresent) libs.litert else libs.tflite)
}
