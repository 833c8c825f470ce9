/** What does a server refuse before it starts? */
package io.forebay.app.server;
