/**
 * Does the whole hold together when real processes are killed, stopped and wiped? Tests over server
 * processes of their own, seen through the clients that users have.
 */
package io.forebay.app.e2e;
