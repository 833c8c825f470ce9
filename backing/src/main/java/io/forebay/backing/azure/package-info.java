/**
 * How is a container of Azure Blob Storage an object store? Through the official SDK.
 *
 * <p>It never retries a change, and keeps no credentials of its own.
 *
 * <p>Called through core's ObjectStore port; opened by StoreFactory.
 *
 * <p>Threading: for all threads.
 *
 * <p>Failure: STORE_* with the container, the key, the status and what to check.
 */
@NullMarked
package io.forebay.backing.azure;

import org.jspecify.annotations.NullMarked;
