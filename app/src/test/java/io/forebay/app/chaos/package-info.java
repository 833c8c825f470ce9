/** Would the judge of chaos see what is wrong? */
package io.forebay.app.chaos;
