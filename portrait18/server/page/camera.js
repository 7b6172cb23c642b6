// The camera: opened when asked for, and closed as soon as it is not needed.

const REFUSED = {
  NotAllowedError: "The camera was refused. Allow it for this page in the browser, or choose a photo instead.",
  NotFoundError: "No camera was found. Choose a photo instead.",
  NotReadableError: "Another program uses the camera. Close it there, or choose a photo instead.",
};

/**
 * @param {(photo: File) => void} taken  gets each photo
 * @param {(text: string) => void} refused  gets why there is no camera
 */
export function camera(taken, refused) {
  const open = document.getElementById("open-camera");
  const section = document.getElementById("camera");
  const video = section.querySelector("video");
  let shots = 0;

  function close() {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    section.hidden = true;
    open.ariaExpanded = "false";
    open.focus();
  }

  open.onclick = async () => {
    if (video.srcObject) return close();
    if (!navigator.mediaDevices) {
      return refused("Browsers give pages the camera over https or on localhost only. Choose a photo instead.");
    }
    open.disabled = true; // a second click would open it twice, and nobody close the first
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
    } catch (error) {
      return refused(REFUSED[error.name] ?? `The camera can't be used (${error.name}). Choose a photo instead.`);
    } finally {
      open.disabled = false;
    }
    refused("");
    section.hidden = false;
    open.ariaExpanded = "true";
    document.getElementById("shoot").focus();
  };

  document.getElementById("close-camera").onclick = close;
  section.onkeydown = (event) => event.key === "Escape" && close();

  document.getElementById("shoot").onclick = () => {
    if (!video.videoWidth) return; // no picture yet
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    shots += 1;
    const name = `Camera photo ${shots}`;
    canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 }).then((blob) => taken(new File([blob], name)));
  };
}
