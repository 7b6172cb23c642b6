// The camera: opened on request, and closed as soon as it is not needed.

const ERRORS = {
  NotAllowedError: "Camera access was denied. Allow it in the browser, or choose a photo instead.",
  NotFoundError: "No camera was found. Choose a photo instead.",
  NotReadableError: "Another program is using the camera. Close it, or choose a photo instead.",
};

/**
 * @param {(photo: File) => void} onPhoto  called with each photo
 * @param {(text: string) => void} onError  called with the reason, or with "" once it works
 */
export function camera(onPhoto, onError) {
  const open = document.getElementById("open-camera");
  const section = document.getElementById("camera");
  const other = document.getElementById("other-camera");
  const video = section.querySelector("video");
  let shots = 0;

  function stop() {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    video.onloadeddata = null; // cancel a photo that still waits for a frame
  }

  function close() {
    stop();
    section.hidden = true;
    open.ariaExpanded = "false";
    open.focus();
  }

  async function cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput");
  }

  const settings = () => video.srcObject.getVideoTracks()[0].getSettings();

  /** Open a camera; return whether it worked. Phones open one at a time: close the other first. */
  async function start(wanted) {
    stop();
    open.disabled = other.disabled = true; // a second click would open it twice and leak one
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      other.hidden = (await cameras()).length < 2;
    } catch (error) {
      close();
      const unknown = `The camera can't be used (${error.name}). Choose a photo instead.`;
      onError(ERRORS[error.name] ?? unknown);
      return false;
    } finally {
      open.disabled = other.disabled = false;
    }
    video.classList.toggle("mirror", settings().facingMode !== "environment");
    onError("");
    return true;
  }

  open.onclick = async () => {
    if (video.srcObject) return close();
    if (!navigator.mediaDevices) {
      return onError(
        "Browsers allow the camera over https or on localhost only. Choose a photo instead.",
      );
    }
    if (!await start({ facingMode: "user" })) return;
    section.hidden = false;
    open.ariaExpanded = "true";
    document.getElementById("shoot").focus();
  };

  other.onclick = async () => {
    const ids = (await cameras()).map((d) => d.deviceId);
    const next = ids[(ids.indexOf(settings().deviceId) + 1) % ids.length];
    const started = await start({ deviceId: { exact: next } });
    if (section.hidden) stop(); // closed in the meantime
    else if (started) other.focus(); // disabling it lost the focus
  };

  document.getElementById("close-camera").onclick = close;
  section.onkeydown = (event) => event.key === "Escape" && close();

  function shoot() {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    shots += 1;
    const name = `Camera photo ${shots}`;
    canvas
      .convertToBlob({ type: "image/jpeg", quality: 0.95 })
      .then((blob) => onPhoto(new File([blob], name)));
  }

  document.getElementById("shoot").onclick = () => {
    if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) shoot();
    else video.onloadeddata = shoot; // a camera needs a moment before its first frame
  };
}
