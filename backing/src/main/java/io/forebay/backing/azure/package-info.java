/**
 * How does an Azure Blob container hold objects? As block blobs, through the official SDK.
 *
 * <p>It never sends a change twice, and never believes an answer that is not Azure's.
 *
 * <p>Opened by the factory, and loaded only then: the SDK is slow to start.
 *
 * <p>Threading: for all threads; blocking. The SDK's event loops move the bytes; a buffer is never
 * touched after the call that named it has returned.
 *
 * <p>Failure: as the port says; each message names the container, the key and Azure's own code.
 */
@NullMarked
package io.forebay.backing.azure;

import org.jspecify.annotations.NullMarked;
