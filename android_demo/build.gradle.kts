plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.android) apply false
    alias(libs.plugins.kotlin.jvm) apply false
}

// What `./gradlew publish` writes; publish.sh writes the same without Google's repository.
val released: String = libs.versions.versionName.get()
allprojects {
    group = "memcom"
    version = released
}
